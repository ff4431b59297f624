"""Train microscopy models and ship bundles that are proven to run."""
