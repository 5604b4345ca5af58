"""Runs in LightGBM's environment: fits trees to rows, and to all but each fold of them.

    python lightgbm_fit.py ROWS.npz TREES.npz [--cross-validate]

ROWS: `x` f32[rows, features], `y` f64[rows] in [0, 1], `weight` f64[rows], `fold` i64[rows] (-1:
never held out). TREES: `trees`, the model as JSON; `chances` f64[rows], those of the model, or with
`--cross-validate` for each row those of the model that was fitted without its fold.
"""

from __future__ import annotations

import argparse
import json

import lightgbm
import numpy as np

PARAMETERS = {
    "objective": "cross_entropy",
    "num_leaves": 31,
    "max_depth": 7,
    "learning_rate": 0.06,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.2,
    "lambda_l2": 5.0,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 127,
    "num_threads": 1,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
TREES = 200


def fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> lightgbm.Booster:
    data = lightgbm.Dataset(x, y, weight=weight, params=PARAMETERS)
    return lightgbm.train(PARAMETERS, data, TREES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows")
    parser.add_argument("trees")
    parser.add_argument("--cross-validate", action="store_true")
    args = parser.parse_args()
    with np.load(args.rows) as rows:
        x, y, weight, fold = (rows[name] for name in ("x", "y", "weight", "fold"))
    chances = np.zeros(len(y))
    model = {}
    if args.cross_validate:
        for held in range(int(fold.max()) + 1):
            out = fold == held
            chances[out] = fit(x[~out], y[~out], weight[~out]).predict(x[out])
    else:
        booster = fit(x, y, weight)
        model = booster.dump_model()
        chances = booster.predict(x)
    np.savez(args.trees, trees=json.dumps(model), chances=chances)


if __name__ == "__main__":
    main()
