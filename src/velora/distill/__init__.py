"""Distillation: a small recurrent student learns what a teacher would do, in the states that the student gets into.

Source:
    Ross, Gordon & Bagnell 2011 (arXiv 1011.0686), DAgger, algorithm 3.1. Differs: the policy is trained at every step
    on windows of all that was collected, instead of anew in every iteration, and the share of steps in which the
    teacher acts falls in a straight line.
"""

from velora.distill.agent_teacher import AgentTeacher
from velora.distill.distil import distill
from velora.distill.onnx_teacher import OnnxTeacher
from velora.distill.opening import open_teacher
from velora.distill.teacher import Teacher

__all__ = ["AgentTeacher", "OnnxTeacher", "Teacher", "distill", "open_teacher"]
