"""The ruler: estimators that see samples and never a loss, so that every run is measured alike."""
