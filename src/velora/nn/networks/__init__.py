"""Networks that agents are made of: policies, critics, and the encoder of images."""
