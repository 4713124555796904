"""From chips to age distributions and gender probabilities: model bundles, the estimator and its calibration."""
