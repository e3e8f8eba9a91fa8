"""The kernels of the `reference` engine: a table from operator to the function that prepares it.

A prepared kernel takes the node's computed inputs, (n, ...) for n images, in the order of the
file, constants left out, and gives (n, ...).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import kernels_elementwise, kernels_linear, kernels_pooling, kernels_tables
from .graph import Node

Kernel = Callable[..., np.ndarray]
KERNELS: dict[str, Callable[[Node], Kernel]] = {
    "FULLY_CONNECTED": kernels_linear.fully_connected,
    "CONV_2D": kernels_linear.conv,
    "DEPTHWISE_CONV_2D": kernels_linear.depthwise_conv,
    "AVERAGE_POOL_2D": kernels_pooling.average_pool,
    "MAX_POOL_2D": kernels_pooling.max_pool,
    "MEAN": kernels_pooling.mean,
    "REDUCE_MAX": kernels_pooling.reduce_max,
    "ADD": kernels_elementwise.add,
    "SUB": kernels_elementwise.sub,
    "MUL": kernels_elementwise.mul,
    "CONCATENATION": kernels_elementwise.concatenation,
    "PAD": kernels_elementwise.pad,
    "RESHAPE": kernels_elementwise.reshape,
    "SQUEEZE": kernels_elementwise.reshape,
    "SOFTMAX": kernels_tables.softmax,
    "LOGISTIC": kernels_tables.logistic,
    "TANH": kernels_tables.tanh,
    "RELU": kernels_elementwise.relu,
    "RELU6": kernels_elementwise.relu6,
    "LEAKY_RELU": kernels_elementwise.leaky_relu,
    "HARD_SWISH": kernels_tables.hard_swish,
    "QUANTIZE": kernels_elementwise.quantize,
    "DEQUANTIZE": kernels_elementwise.dequantize,
}
