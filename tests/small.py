"""Options that make the command line fast."""

SMALL = ["--size", "32x32", "--steps", "4", "--num-cutouts", "3", "--start-tries", "1"]
