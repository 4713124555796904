"""The recipes that come with mien, and what makes a model of the numbered steps of a `pipeline.yaml`.

`*.yaml` are recipes of one run, `published/` those of published systems; `mien-m/` and `mien-s/` hold the steps of the
models that ship. `mien.learn.recipe` reads them; `steps` does what a step says, `run_pipeline` all of them in order.
"""
