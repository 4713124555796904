"""Learning and measuring: tables of labelled faces, training, evaluation, export. Predicting needs none of it."""
