"""What each step of the main job costs on this machine, against what the machine could do: `mien bench`."""
