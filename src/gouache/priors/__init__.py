"""Token priors: small transformers that propose a picture's codes from its prompt."""
