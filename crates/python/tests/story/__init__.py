"""One story, two back ends: `homing.bg_jobs`, and the module that it takes the place of ("the seed"), where that is given."""
