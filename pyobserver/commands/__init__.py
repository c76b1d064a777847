"""The commands, by what they are about: short functions, each loading what it needs when it is called."""
