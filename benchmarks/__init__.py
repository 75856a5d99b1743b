"""What things cost: ours and a reference, measured in turns in one run (`make bench`). Never asserted."""
