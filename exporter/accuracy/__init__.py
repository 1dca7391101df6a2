"""How good a classifier is: labelled pictures, its answers to them, figures, what they forbid."""
