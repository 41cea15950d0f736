"""A chat app whose agent launches jobs with homing, and is woken by their results. Begin with `app.py`."""
