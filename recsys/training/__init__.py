"""Training of torch models: histories on a device, losses, one loop, checkpoints."""
