"""How a network runs forward and backward: in C, in arrays, or through autograd."""
