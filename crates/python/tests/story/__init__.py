"""One story, two back ends: `homing.bg_jobs`, and the module that it replaces ("the seed"), if that is given."""
