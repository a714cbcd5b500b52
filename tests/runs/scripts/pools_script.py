"""A script without a guard, run by a test: its trials open process pools of all kinds.

No module imports it: all that it defines belongs to ``__main__``.
"""

# Without types, as users write scripts.
# mypy: ignore-errors

import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import localtune as tune

with open("runs", "a") as file:
    file.write("run\n")

FACTOR = 2


class Pair:
    def __init__(self, left, right):
        self.left, self.right = left, right

    def total(self):
        return self.left + self.right


def double(number):
    return FACTOR * number


def swap(pair):
    return Pair(pair.right, pair.left)


def set_factor(factor):
    global FACTOR
    FACTOR = factor


def put_double(queue, number):
    queue.put(double(number))


def nested(number):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(double, [number])


def use_pool(context):
    with context.Pool(2) as pool:
        return pool.map(double, range(4))


def use_initializer(context):
    with context.Pool(1, set_factor, (10,)) as pool:
        return pool.map(double, range(4))


def use_executor(context):
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        return list(pool.map(double, range(4)))


def use_class(context):
    with context.Pool(1) as pool:
        pairs = pool.map(swap, [Pair(1, 2)])
        totals = pool.map(Pair.total, pairs)
    return [type(pairs[0]) is Pair, pairs[0].left, totals[0]]


def use_process(context):
    queue = context.Queue()
    process = context.Process(target=put_double, args=(queue, 21))
    process.start()
    got = queue.get()
    process.join()
    return got


def use_nested_pool(context):
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(nested, 4).result()


def use_local_function(context):
    def local(number):
        return number

    with context.Pool(1) as pool:
        try:
            return pool.map(local, range(4))
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def only_in_the_config(number):
    return number


def use_function_of_config(context, function):
    with context.Pool(1) as pool:
        try:
            return pool.map(function, range(4))
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def use_joblib(context):
    import joblib

    return joblib.Parallel(2)(joblib.delayed(double)(number) for number in range(4))


def train(config):
    method, use = config["case"]
    context = multiprocessing.get_context(method)
    if use == "function of the config":
        answer = use_function_of_config(context, config["function"])
    else:
        answer = USES[use](context)
    tune.report({"case": f"{use} {method}", "answer": answer})


USES = {
    "pool": use_pool,
    "initializer": use_initializer,
    "executor": use_executor,
    "class": use_class,
    "process": use_process,
    "nested pool": use_nested_pool,
    "local function": use_local_function,
    "function of the config": use_function_of_config,
}
CASES = [(method, use) for method in ("spawn", "forkserver") for use in USES]
USES["joblib"] = use_joblib
CASES += [("fork", "pool"), ("fork", "executor"), ("fork", "joblib")]

grid = tune.Tuner(
    train,
    param_space={"case": tune.grid_search(CASES), "function": only_in_the_config},
    run_config=tune.RunConfig(storage_path=os.path.abspath("results"), verbose=0),
    executor=tune.ProcessExecutor(num_cpus=2, start_method=sys.argv[1]),
).fit()
told = {}
for result in grid:
    told[result.metrics.get("case", str(result.error))] = result.metrics.get("answer")
print(json.dumps(told))
