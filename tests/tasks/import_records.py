"""Records in the published formats, written for these tests: no benchmark has these problems."""

from __future__ import annotations

from typing import Any

HUMANEVAL: dict[str, Any] = {
    "task_id": "HumanEval/900",
    "prompt": (
        "from typing import List\n\n\n"
        "def halve(number: int) -> int:\n    return number // 2\n\n\n"
        "def halves(numbers: List[int]) -> List[int]:\n"
        '    """ Halve every number, rounding down.\n'
        "    >>> halves([4, 7])\n    [2, 3]\n"
        "    >>> halves([])\n    []\n"
        "    >>> halves([9])\n\n"
        "    >>> halves([halve(8)])\n    [2]\n"
        "    >>> print(halves([2]))\n    [1]\n"
        '    """\n'
    ),
    "entry_point": "halves",
    "canonical_solution": "    return [halve(number) for number in numbers]\n",
    "test": (
        "\n\nMETADATA = {'author': 'x'}\n\n\n"
        "def check(candidate):\n"
        "    assert candidate([4,7]) == [2, 3]\n"
        "    assert candidate([10]) == [5]\n"
        "    for n in range(9):\n        assert candidate([n, n]) == [halve(n)] * 2\n"
    ),
}

STRONG_HUMANEVAL: dict[str, Any] = {
    "task_id": "HumanEval/901",
    "prompt": 'def shout(text):\n    """ Return text in capitals, then an exclamation mark. """\n',
    "entry_point": "shout",
    "canonical_solution": '    return text.upper() + "!"\n',
    "test": (
        "def check(candidate):\n    assert candidate('a') == 'A!'\n"
        "    assert candidate('') == '!'\n"
    ),
}

HUMANEVAL_PLUS: dict[str, Any] = {
    "task_id": "HumanEval/902",
    "prompt": (
        'def mean(numbers):\n    """Return the mean.\n    >>> mean([1, 2])\n    1.5\n    """\n'
    ),
    "contract": "\n    assert numbers, 'invalid inputs' # $_CONTRACT_$\n",
    "canonical_solution": "    return sum(numbers) / len(numbers)\n",
    "entry_point": "mean",
    "base_input": [[[1, 2]], [[1.0, 2.0]], [[3]]],
    "plus_input": [[[1, 2]], [[1e9, 3e9]]],
    "atol": 0,
}

MBPP_PLUS: dict[str, Any] = {
    "task_id": "Mbpp/903",
    "prompt": '"""\nWrite a function to swap the two items of each pair.\n"""\n',
    "entry_point": "swap",
    "canonical_solution": (
        "\ndef swap(pairs, seen):\n  return [b + a for a, b in pairs] if type(pairs[0]) is str"
        " else [(b, a) for a, b in pairs if (a, b) not in seen]\n"
    ),
    "base_input": [[[[1, 2], [3, 4]], [[3, 4]]]],
    "plus_input": [[[["x", "y"]], []], [[], []]][:1],
    "contract": "",
    "assertion": "\nassert swap([(1, 2), (3, 4)], {(3, 4)}) == [(2, 1)]\n",
    "atol": 0,
}

MBPP: dict[str, Any] = {
    "text": "Write a function to double a number.",
    "code": "def helper(x):\r\n  return x\r\ndef twice(x):\r\n  return 2 * helper(x)",
    "task_id": 904,
    "test_setup_code": "three = 3",
    "test_list": ["assert twice(1) == 2", "assert twice(helper(2)) == 4", "assert twice(three)==6"],
    "challenge_test_list": ["assert twice(0) == 0"],
}

SANITIZED: dict[str, Any] = {
    "source_file": "Some questions.ipynb",
    "task_id": 905,
    "prompt": "Write a function to find what two lists share.",
    "code": "def shared(a, b):\n  return tuple(set(a) & set(b))",
    "test_imports": ["import math"],
    "test_list": ["assert set(shared((1, 2),(2, 3))) == set((2,))"],
}

NATIVE: dict[str, Any] = {
    "id": "double",
    "spec": "Double a number.",
    "entry_point": "double",
    "category": "arithmetic",
    "split": "train",
    "source": "test",
    "hidden": [{"args": "(77,)", "expected": "154"}],
}
