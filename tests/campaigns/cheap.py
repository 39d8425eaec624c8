"""Keys of runs that take a second, for campaigns and tests."""

# A ruler that costs milliseconds, and no pictures.
CHEAP = (
    "trainer.batch_size=16",
    "trainer.image_every=0",
    "metrics=[wasserstein,neighbours]",
    "neural_distance.steps=0",
    "evaluator.every=5",
    "evaluator.n=16",
    "evaluator.final_n=16",
    "evaluator.n_repeats=2",
    "evaluator.final_n_repeats=2",
    "evaluator.floor_n_repeats=2",
    "device=cpu",
    "execution.threads=1",
)
RING = ("data=ring", "network=mlp", "network.width=8", *CHEAP)
