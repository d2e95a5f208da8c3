"""Policies by hand, small enough to know what they answer."""

from __future__ import annotations

from pathlib import Path

from velora.proof.machine import Sizes

HEADER = """\
#ifndef POLICY_H
#define POLICY_H
#define POLICY_OBSERVATIONS 2
#define POLICY_ACTIONS 1
#define POLICY_STATES 1
typedef struct { float state[POLICY_STATES]; } policy_state;
typedef float policy_action;
void policy_reset(policy_state *s);
void policy_step(policy_state *s, const float observation[2], float dt, policy_action action[1]);
int policy_selftest(void);
#endif
"""
SOURCE = """\
#include "policy.h"
void policy_reset(policy_state *s) { s->state[0] = 0.0f; }
void policy_step(policy_state *s, const float observation[2], float dt, policy_action action[1])
{
    s->state[0] += dt * observation[0];
    action[0] = s->state[0] - observation[1];
    BODY
}
"""
SELFTEST = '#include "policy.h"\nint policy_selftest(void) { return RESULT; }\n'
SIZES = Sizes(n_observations=2, n_actions=1, is_discrete=False)


def write_policy(directory: Path, *, body: str = "", result: int = 0) -> Path:
    """Write a policy that sums up ``dt * observation[0]``, and runs ``body`` at the end of a step."""
    directory.mkdir()
    (directory / "policy.h").write_text(HEADER)
    (directory / "policy.c").write_text(SOURCE.replace("BODY", body))
    (directory / "selftest.c").write_text(SELFTEST.replace("RESULT", str(result)))
    return directory
