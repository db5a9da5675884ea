"""Options that make the command line fast."""

SIZED = ["--size", "32x32", "--steps", "4", "--num-cutouts", "3", "--start-tries", "1"]
# One guide is faster than two, and knows more words.
SMALL = [*SIZED, "--perceptor", "pocket"]
