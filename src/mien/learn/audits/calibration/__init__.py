"""Do intervals and probabilities hold what they promise?"""
