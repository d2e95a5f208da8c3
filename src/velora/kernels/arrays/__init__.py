"""Plans of networks executed in arrays of NumPy or PyTorch, forward and backward, without autograd and compiler."""
