"""Studies: each measures, checks its claims, saves both, and draws what was saved.

`claims` says what a claim is, `base` what a study promises, `program` how one is performed. A study
is one module here, its pictures are the module of the same name in `drawings`.
"""
