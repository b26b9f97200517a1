#!/usr/bin/env python3
"""Fits the network that prices images to measured prices.

Reads data/image-kudos.csv.gz, trains two networks, joins them into one whose output is their mean,
and writes its weights, a sample of rows that the fit did not see, and a report of the errors on
them. Needs numpy only; see README.md.
"""

import os

# One thread: the matrices are small, and the result must not depend on the machine's core count.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import csv
import gzip
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
MEASURED = HERE / "data" / "image-kudos.csv.gz"
MEMBERS_DIRECTORY = HERE / "build"
CRATE = HERE.parent.parent / "crates" / "kudos"

# ---------------------------------------------------------------------------------------------
# The data

SAMPLERS = (
    "ddim k_dpm_2 k_dpm_2_a k_dpm_adaptive k_dpm_fast k_dpmpp_2m k_dpmpp_2s_a k_dpmpp_sde "
    "k_euler k_euler_a k_heun k_lms plms uni_pc uni_pc_bh2"
).split()
CONTROL_TYPES = "None canny depth fakescribbles hed hough normal openpose scribble seg".split()
SOURCE_PROCESSING = "img2img inpainting outpainting txt2img".split()
POST_PROCESSORS = (
    "4x_AnimeSharp CodeFormers GFPGAN NMKD_Siax RealESRGAN_x2plus RealESRGAN_x4plus "
    "RealESRGAN_x4plus_anime_6B strip_background"
).split()

FEATURES = 47
# The file begins with corners and sweeps of one factor; random payloads follow.
FIRST_RANDOM_ROW = 498 + 3148
HELD_OUT_SHARE = 0.05
HELD_OUT_SEED = 20240
# The API refuses these, so the crate has no name for them.
UNREACHABLE_SAMPLERS = {"ddim", "plms", "uni_pc", "uni_pc_bh2"}

REFERENCE_SECONDS = 6.45
REFERENCE_PRICE = 11


def features(row):
    """The inputs of the network for one payload."""
    x = np.zeros(FEATURES)
    x[0] = int(row["height"]) / 1024
    x[1] = int(row["width"]) / 1024
    x[2] = int(row["steps"]) / 100
    x[3] = float(row["cfg_scale"]) / 30

    source, control = row["source_image"] == "1", row["control_type"]
    denoising, strength = row["denoising_strength"], row["control_strength"]
    x[4] = float(denoising) if source and not control and denoising else 1.0
    x[5] = float(strength or denoising or 1.0) if source and control else 1.0

    for index, flag in enumerate(("karras", "hires_fix", "source_image", "source_mask"), start=6):
        x[index] = int(row[flag])
    sampler = row["sampler_name"]
    x[10 + SAMPLERS.index(sampler if sampler in SAMPLERS else "k_euler")] = 1
    x[25 + CONTROL_TYPES.index(control or "None")] = 1
    processing = row["source_processing"]
    x[35 + SOURCE_PROCESSING.index("img2img" if processing == "remix" else processing)] = 1
    for index, name in enumerate(POST_PROCESSORS, start=39):
        x[index] = int(row["pp_" + name])
    return x


def price(seconds):
    """The price in kudos, on the grid that hundredths of a second make."""
    return np.round(np.round(seconds, 2) / REFERENCE_SECONDS * REFERENCE_PRICE, 2)


def load():
    """All rows, their features, seconds and prices."""
    with gzip.open(MEASURED, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    inputs = np.array([features(row) for row in rows], np.float32)
    prices = np.array([float(row["kudos"]) for row in rows])
    # The price grid is coarser than hundredths of a second, so these are exact.
    seconds = np.round(prices * REFERENCE_SECONDS / REFERENCE_PRICE, 2)
    assert np.abs(price(seconds) - prices).max() < 0.006
    return rows, inputs, seconds, prices


def held_out_rows(count):
    """Indices of the random rows that the fit never sees."""
    order = np.random.RandomState(HELD_OUT_SEED).permutation(count - FIRST_RANDOM_ROW)
    return np.sort(order[: len(order) // int(1 / HELD_OUT_SHARE)] + FIRST_RANDOM_ROW)


# ---------------------------------------------------------------------------------------------
# The network

# Seconds per unit of output while training, so that all layers work at a similar scale.
UNIT = np.float32(10.0)


def initial_weights(hidden, seed):
    """One matrix a layer, of shape (inputs + 1, outputs); the last row holds the biases."""
    random = np.random.RandomState(seed)
    sizes = [FEATURES, *hidden, 1]
    weights = []
    for layer, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
        # About twelve of the features differ from zero in any row.
        effective = 12 if layer == 0 else fan_in
        gain = 1 if layer == len(sizes) - 2 else 2
        matrix = random.randn(fan_in, fan_out) * np.sqrt(gain / effective)
        weights.append(np.vstack([matrix, np.zeros((1, fan_out))]).astype(np.float32))
    return weights


def forward(weights, inputs):
    """The outputs in units, and what every layer was given."""
    given, values = [], inputs
    for layer, matrix in enumerate(weights):
        given.append(values)
        values = values @ matrix[:-1]
        values += matrix[-1]
        if layer < len(weights) - 1:
            np.maximum(values, 0, out=values)
    return values[:, 0], given


def predict(weights, inputs):
    """Seconds for every row."""
    chunks = [forward(weights, inputs[at : at + 8192])[0] for at in range(0, len(inputs), 8192)]
    return np.concatenate(chunks).astype(np.float64) * float(UNIT)


def loss_and_gradients(weights, inputs, seconds, softness):
    """Pseudo-Huber loss of the relative error: quadratic below `softness`, linear above."""
    output, given = forward(weights, inputs)
    relative = (output * UNIT - seconds) / seconds
    root = np.sqrt(1 + (relative / softness) ** 2)
    loss = float((softness * (root - 1)).mean())
    slope = relative / root / softness * (UNIT / seconds) / len(seconds)
    delta = slope[:, None].astype(np.float32)
    gradients = [None] * len(weights)
    for layer in reversed(range(len(weights))):
        gradients[layer] = np.vstack([given[layer].T @ delta, delta.sum(0, keepdims=True)])
        if layer:
            delta = delta @ weights[layer][:-1].T
            delta *= given[layer] > 0
    return loss, gradients


# ---------------------------------------------------------------------------------------------
# The optimiser


class Soap:
    """Adam in the eigenbasis of the gradients' row and column covariances ("SOAP").

    First-order methods alone leave this network far from what it can represent.
    """

    MOMENTUM = 0.95
    VARIANCE = 0.99
    COVARIANCE = 0.95
    REFRESH = 20

    def __init__(self, weights):
        self.step_count = 0
        self.momenta = [np.zeros_like(matrix) for matrix in weights]
        self.variances = [np.zeros_like(matrix) for matrix in weights]
        self.covariances = [[np.zeros((n, n), np.float32) for n in matrix.shape] for matrix in weights]
        self.bases = None

    def step(self, weights, gradients, rate):
        self.step_count += 1
        self._observe(gradients)
        if self.bases is None:
            self.bases = [
                [np.linalg.eigh(side.astype(np.float64))[1].astype(np.float32) for side in pair]
                for pair in self.covariances
            ]
            return
        unbias_momentum = 1 - self.MOMENTUM**self.step_count
        unbias_variance = 1 - self.VARIANCE**self.step_count
        for layer, gradient in enumerate(gradients):
            rows, columns = self.bases[layer]
            momentum, variance = self.momenta[layer], self.variances[layer]
            momentum += (1 - self.MOMENTUM) * (gradient - momentum)
            rotated = rows.T @ gradient @ columns
            variance += (1 - self.VARIANCE) * (rotated * rotated - variance)
            scale = np.sqrt(variance / unbias_variance) + 1e-10
            update = (rows.T @ momentum @ columns) / unbias_momentum / scale
            weights[layer] -= rate * (rows @ update @ columns.T)
        if self.step_count % self.REFRESH == 0:
            self._refresh()

    def _observe(self, gradients):
        for (rows, columns), gradient in zip(self.covariances, gradients):
            rows += (1 - self.COVARIANCE) * (gradient @ gradient.T - rows)
            columns += (1 - self.COVARIANCE) * (gradient.T @ gradient - columns)

    def _refresh(self):
        """One power iteration towards the current eigenvectors, largest first."""
        for layer, bases in enumerate(self.bases):
            for side, basis in enumerate(bases):
                if len(basis) == 1:
                    continue
                moved = self.covariances[layer][side] @ basis
                order = np.argsort(-np.einsum("ij,ij->j", basis, moved))
                bases[side] = np.linalg.qr(moved[:, order])[0]
                self.variances[layer] = np.take(self.variances[layer], order, axis=side)


# ---------------------------------------------------------------------------------------------
# The fit


@dataclass
class Member:
    """How one of the networks is trained."""

    seed: int
    # Sizes of the hidden layers.
    hidden: list
    epochs: int
    # Weight decay, relative to the learning rate. Without it the rare errors are thrice as large.
    decay: float
    # Relative error at which the loss turns from quadratic to linear.
    softness: float
    # Highest learning rate.
    rate: float = 2e-3
    batch: int = 1024


# Members that differ err differently, so their mean is better than either, above all where it is bad.
MEMBERS = [
    Member(seed=1, hidden=[160, 160, 160], epochs=400, decay=0.1, softness=0.05),
    Member(seed=2, hidden=[128, 128, 128], epochs=260, decay=0.15, softness=0.1),
]


def train(inputs, seconds, member, progress):
    """Weights after all epochs; `progress(epoch, loss, weights)` is told after each."""
    random = np.random.RandomState(member.seed)
    weights = initial_weights(member.hidden, member.seed)
    optimiser = Soap(weights)
    seconds = seconds.astype(np.float32)
    batches = len(inputs) // member.batch
    steps, step = member.epochs * batches, 0
    for epoch in range(member.epochs):
        order = random.permutation(len(inputs))
        losses = []
        for batch in range(batches):
            chosen = order[batch * member.batch : (batch + 1) * member.batch]
            loss, gradients = loss_and_gradients(weights, inputs[chosen], seconds[chosen], member.softness)
            losses.append(loss)
            warm_up = min(1, (step + 1) / 200)
            rate = member.rate * warm_up * (0.5 + 0.5 * np.cos(np.pi * step / steps))
            for matrix in weights:
                matrix[:-1] *= 1 - rate * member.decay
            optimiser.step(weights, gradients, rate)
            step += 1
        progress(epoch + 1, float(np.mean(losses)), weights)
    return weights


def errors(predicted, prices):
    """Relative errors in percent after rounding to the price grid."""
    return np.abs(np.maximum(price(predicted), 1.0) - prices) / prices * 100


def summary(name, values):
    median, p95, p99 = np.percentile(values, [50, 95, 99])
    return (
        f"| {name} | {len(values)} | {median:.3f} % | {p95:.2f} % | {p99:.2f} % | {values.max():.2f} % "
        f"| {values.mean():.3f} % |"
    )


def report(rows, predicted, prices):
    """A table of errors by kind of payload."""
    values = errors(predicted, prices)

    def subset(name, keep):
        chosen = np.array([keep(row) for row in rows])
        return summary(name, values[chosen])

    def plain(row):
        post_processed = any(row["pp_" + name] == "1" for name in POST_PROCESSORS)
        return row["source_image"] == "0" and not row["control_type"] and not post_processed

    def practical(row):
        sides = (int(row["width"]), int(row["height"]))
        return all(256 <= side <= 1536 for side in sides) and int(row["steps"]) <= 100 and float(row["cfg_scale"]) <= 20

    return "\n".join(
        [
            "| held-out rows | count | median | 95 % | 99 % | max | mean |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            summary("all", values),
            subset("plain text to image", plain),
            subset("plain and of practical size", lambda row: plain(row) and practical(row)),
            subset("practical size", practical),
            subset("with a source image", lambda row: row["source_image"] == "1"),
            subset("with a control type", lambda row: row["control_type"] != ""),
        ]
    )


# ---------------------------------------------------------------------------------------------
# What comes out


def save_weights(path, weights):
    """Matrices of shape (outputs, inputs) and vectors; the last layer gives seconds."""
    arrays = {}
    for layer, matrix in enumerate(weights):
        scale = UNIT if layer == len(weights) - 1 else np.float32(1)
        arrays[f"w{layer}"] = np.ascontiguousarray(matrix[:-1].T * scale, "<f4")
        arrays[f"b{layer}"] = np.ascontiguousarray(matrix[-1] * scale, "<f4")
    np.savez_compressed(path, **arrays)


def join(members):
    """One network whose output is the mean of the members' outputs, which have equally many layers.

    Hidden layers lie side by side without connections between members.
    """
    joined = {}
    for layer in range(len(members[0].files) // 2):
        matrices = [member[f"w{layer}"] for member in members]
        biases = [member[f"b{layer}"] for member in members]
        is_last = layer == len(members[0].files) // 2 - 1
        if is_last:
            matrix = np.hstack(matrices) / np.float32(len(members))
            bias = np.mean(biases, axis=0)
        elif layer == 0:
            matrix, bias = np.vstack(matrices), np.concatenate(biases)
        else:
            matrix, bias = block_diagonal(matrices), np.concatenate(biases)
        joined[f"w{layer}"] = np.ascontiguousarray(matrix, "<f4")
        joined[f"b{layer}"] = np.ascontiguousarray(bias, "<f4")
    return joined


def block_diagonal(matrices):
    rows, columns = np.sum([matrix.shape for matrix in matrices], axis=0)
    result = np.zeros((rows, columns), np.float32)
    row = column = 0
    for matrix in matrices:
        result[row : row + matrix.shape[0], column : column + matrix.shape[1]] = matrix
        row, column = row + matrix.shape[0], column + matrix.shape[1]
    return result


def seconds_of_file(path, inputs):
    """Evaluates saved weights as the crate does."""
    arrays = np.load(path)
    values, layers = inputs.T, len(arrays.files) // 2
    for layer in range(layers):
        values = arrays[f"w{layer}"] @ values + arrays[f"b{layer}"][:, None]
        if layer < layers - 1:
            values = np.maximum(values, 0)
    return values[0].astype(np.float64)


def save_sample(path, rows, predicted, count):
    """The first `count` held-out rows that the API admits, with the fit's own seconds appended."""
    chosen = [(row, s) for row, s in zip(rows, predicted) if row["sampler_name"] not in UNREACHABLE_SAMPLERS]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*rows[0].keys(), "fitted_seconds"])
        writer.writerows([*row.values(), f"{seconds:.5f}"] for row, seconds in chosen[:count])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, default=CRATE / "data" / "image-pricing.npz")
    parser.add_argument("--sample", type=Path, default=CRATE / "tests" / "data" / "held-out.csv")
    parser.add_argument("--member", type=int, help="train only this member (0, 1 ...)")
    parser.add_argument("--evaluate", action="store_true", help="report on existing weights, don't fit")
    return parser.parse_args()


def fit_member(number, inputs, seconds, prices, held_out):
    """Trains a member unless it has been trained before; returns its file."""
    path = MEMBERS_DIRECTORY / f"member-{number}.npz"
    if path.exists():
        print(f"member {number}: found in {path}")
        return path
    member = MEMBERS[number]
    seen = np.ones(len(inputs), bool)
    seen[held_out] = False
    started = time.time()

    def progress(epoch, loss, weights):
        if epoch % 10 == 0 or epoch == member.epochs:
            median, p99 = np.percentile(errors(predict(weights, inputs[held_out]), prices[held_out]), [50, 99])
            print(
                f"member {number}, epoch {epoch}: loss {loss:.6f}, held-out median {median:.3f} %, "
                f"99 % {p99:.2f} %, {time.time() - started:.0f} s, {time.process_time():.0f} s of CPU",
                flush=True,
            )

    weights = train(inputs[seen], seconds[seen], member, progress)
    MEMBERS_DIRECTORY.mkdir(exist_ok=True)
    save_weights(path, weights)
    return path


def main():
    options = parse_options()
    rows, inputs, seconds, prices = load()
    held_out = held_out_rows(len(rows))
    if options.member is not None:
        fit_member(options.member, inputs, seconds, prices, held_out)
        return
    if not options.evaluate:
        files = [fit_member(number, inputs, seconds, prices, held_out) for number in range(len(MEMBERS))]
        np.savez_compressed(options.weights, **join([np.load(file) for file in files]))

    predicted = seconds_of_file(options.weights, inputs)
    payloads = [rows[index] for index in held_out]
    save_sample(options.sample, payloads, predicted[held_out], 2000)
    print(report(payloads, predicted[held_out], prices[held_out]))
    seen = np.delete(np.arange(len(rows)), held_out)
    print(summary("rows of the fit", errors(predicted[seen], prices[seen])))


if __name__ == "__main__":
    main()
