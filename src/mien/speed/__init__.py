"""Time of each step of the main job on this machine, compared with the machine's peak: `mien bench`."""
