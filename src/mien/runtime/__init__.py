"""What networks run on: sessions of ONNX Runtime and its kernels, the cores of this process, which files may be read."""
