"""What each kind of model is judged by: one file a kind, run through `python -m training.scorecard KIND`."""
