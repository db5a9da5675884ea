"""Options that make the command line fast."""

_PAINTED = ["--size", "32x32", "--steps", "4", "--num-cutouts", "3"]
SIZED = [*_PAINTED, "--start-tries", "1", "--start-steps", "1"]
# One guide is faster than two, and knows more words.
SMALL = [*SIZED, "--perceptor", "pocket"]
