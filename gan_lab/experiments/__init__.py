"""Studies: each measures, checks its claims, saves both, and draws what was saved.

`claims` says what a claim is, `base` what a study promises, `program` how one is performed. A study
is a package: `study` measures, `figures` draws from arrays; other modules hold what is left.
"""
