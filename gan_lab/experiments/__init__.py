"""Studies: each measures, checks its claims, saves both, and draws what was saved.

`claims` says what a claim is, `base` what a study implements, `runner` performs one, `registry`
judges published claims. A study is a package: `study` measures, `figures` draws from arrays, and
other modules hold what they need.
"""
