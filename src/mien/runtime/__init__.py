"""What networks run on: sessions of ONNX Runtime and its kernels, cores of this process, files that may be read."""
