"""What of a model stands where: on the device, in host memory, or only in its file."""
