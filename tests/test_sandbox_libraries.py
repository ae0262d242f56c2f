"""What programs may import works inside, what it imports only when called included."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, indent

import pytest

if sys.platform != "linux":
    pytest.skip("these use the Linux sandbox", allow_module_level=True)

from llm_pv.sandbox import ALLOWED_MODULES, Limits, Outcome
from llm_pv.sandbox.linux import LinuxWorker
from llm_pv.sandbox.modules import PACKAGES, STANDARD_LIBRARY, USED_BY_PACKAGES
from llm_pv.sandbox.parser import packages_imported

LIMITS = Limits(cpu_seconds=20, wall_seconds=60)

# Called inside; each must give a true value.
CALLS = {
    "numpy": """
        np.random.default_rng(0).integers(10) >= 0
        np.random.RandomState(1).randn(3).shape == (3,)
        abs(np.fft.ifft(np.fft.fft([1.0, 2.0, 3.0])) - [1, 2, 3]).max() < 1e-9
        round(np.linalg.det(np.eye(3) * 2)) == 8
        np.linalg.matrix_rank(np.ones((3, 3))) == 1
        np.polynomial.Polynomial([1, 2])(3) == 7
        list(np.roots([1, -3, 2])) == [2, 1]
        np.ma.masked_array([1, 2], [0, 1]).sum() == 1
        np.char.upper(np.array(["a"]))[0] == "A"
        np.array2string(np.arange(3)) == "[0 1 2]"
        np.loadtxt(["1 2", "3 4"]).sum() == 10
        np.datetime64("2026-01-01") + np.timedelta64(1, "D") == np.datetime64("2026-01-02")
        np.einsum("ij,jk", np.eye(2), np.eye(2), optimize=True).trace() == 2
        np.lib.stride_tricks.sliding_window_view(np.arange(5), 2).shape == (4, 2)
        np.save(io.BytesIO(), np.arange(3)) is None
        np.unique(np.array([3, 1, 3])).tolist() == [1, 3]
        np.rec.fromrecords([(1, 2)])[0][1] == 2
        np.vectorize(lambda v: v + 1)([1])[0] == 2
        np.histogram([1, 2, 2])[0].sum() == 3
        np.ctypeslib.as_array(np.arange(3)).sum() == 3
    """,
    "sympy": """
        sympy.isprime(2**61 - 1)
        sympy.factorint(360) == {2: 3, 3: 2, 5: 1}
        sympy.nextprime(100) == 101
        sympy.ntheory.primitive_root(7) == 3
        sympy.ntheory.discrete_log(41, 15, 7) == 3
        sympy.ntheory.qs(1009 * 1013, 2000, 10000) is not None
        sympy.ntheory.ecm(25645121643901801) == {5394769, 4753701529}
        sympy.ntheory.residue_ntheory.sqrt_mod(2, 7) in (3, 4)
        sympy.totient(10) == 4
        sympy.continued_fraction_periodic(3, 7) == [0, 2, 3]
        sympy.solve(x**2 - 4) == [-2, 2]
        sympy.dsolve(sympy.Function("g")(x).diff(x), sympy.Function("g")(x)) is not None
        sympy.integrate(sympy.exp(-x**2), (x, -sympy.oo, sympy.oo)) == sympy.sqrt(sympy.pi)
        sympy.limit(sympy.sin(x) / x, x, 0) == 1
        sympy.series(sympy.exp(x), x).removeO().subs(x, 0) == 1
        sympy.simplify(sympy.sin(x)**2 + sympy.cos(x)**2) == 1
        sympy.factor(x**2 - 1) == (x - 1) * (x + 1)
        sympy.Matrix([[1, 2], [3, 4]]).eigenvals() != {}
        sympy.Matrix([[2, 0], [0, 2]]).det() == 4
        sympy.latex(x**2) == "x^{2}"
        "<msup>" in sympy.mathml(x**2, printer="presentation")
        sympy.pretty(x**2) != ""
        sympy.sympify("x + 1") == x + 1
        sympy.parse_expr("2*x") == 2 * x
        sympy.lambdify(x, x**2)(3) == 9
        sympy.lambdify(x, sympy.sin(x), "numpy")(0.0) == 0
        sympy.lambdify(x, sympy.gamma(x), "scipy")(3.0) == 2
        sympy.ccode(x**2) == "pow(x, 2)"
        sympy.nsimplify(0.5) == sympy.Rational(1, 2)
        sympy.pi.evalf(30) is not None
        sympy.combinatorics.Permutation([1, 0]).order() == 2
        sympy.combinatorics.named_groups.SymmetricGroup(4).order() == 24
        sympy.groebner([x**2 - 1], x) is not None
        sympy.logic.satisfiable(sympy.Symbol("p") & ~sympy.Symbol("p")) is False
        sympy.geometry.Point(0, 0).distance(sympy.geometry.Point(3, 4)) == 5
        sympy.stats.E(sympy.stats.Die("D", 6)) == sympy.Rational(7, 2)
        sympy.physics.units.convert_to(sympy.physics.units.km, sympy.physics.units.m) is not None
        sympy.linsolve([x - 1], x) is not None
        sympy.hyperexpand(sympy.hyper([], [], x)) == sympy.exp(x)
        sympy.fourier_transform(sympy.exp(-x**2), x, sympy.Symbol("k")) is not None
        sympy.sequence(x, (x, 0, 5)).length == 6
        sympy.crypto.encipher_shift("ABC", 1) == "BCD"
        sympy.tensor.array.Array([1, 2]).shape == (2,)
    """,
    "networkx": """
        nx.is_connected(path)
        nx.shortest_path_length(path, 0, 3) == 3
        nx.dijkstra_path(path, 0, 3) == [0, 1, 2, 3]
        round(sum(nx.pagerank(path).values()), 6) == 1
        len(nx.eigenvector_centrality_numpy(path)) == 4
        len(nx.betweenness_centrality(path)) == 4
        nx.adjacency_matrix(path).sum() == 6
        len(nx.laplacian_spectrum(path)) == 4
        round(nx.algebraic_connectivity(nx.complete_graph(5)), 3) == 5
        nx.to_numpy_array(path).trace() == 0
        len(nx.spring_layout(path, seed=0)) == 4
        len(nx.kamada_kawai_layout(path)) == 4
        nx.maximum_flow_value(flow, 0, 2) == 3
        nx.max_weight_matching(path) != set()
        nx.minimum_spanning_tree(path).size() == 3
        len(list(nx.community.greedy_modularity_communities(path))) >= 1
        len(nx.community.louvain_communities(path, seed=0)) >= 1
        nx.is_isomorphic(path, nx.path_graph(4))
        nx.check_planarity(path)[0]
        nx.chromatic_polynomial(path) is not None
        nx.node_connectivity(path) == 1
        nx.triangles(nx.complete_graph(4))[0] == 3
        nx.transitivity(nx.complete_graph(4)) == 1
        nx.diameter(path) == 3
        list(nx.simple_cycles(nx.cycle_graph(3))) != []
        len(nx.cycle_basis(nx.cycle_graph(5))) == 1
        nx.erdos_renyi_graph(10, 0.5, seed=1).number_of_nodes() == 10
        nx.random_regular_graph(3, 8, seed=1).size() == 12
        nx.readwrite.json_graph.node_link_data(path)["nodes"] != []
        list(nx.generate_graphml(path)) != []
        list(nx.generate_gml(path)) != []
        nx.from_graph6_bytes(b"A_").size() == 1
        nx.bipartite.is_bipartite(path)
        nx.bipartite.minimum_weight_full_matching(nx.complete_bipartite_graph(2, 2)) != {}
        nx.approximation.max_clique(path) is not None
        nx.graph_edit_distance(path, path) == 0
        nx.karate_club_graph().number_of_nodes() == 34
        nx.les_miserables_graph().number_of_nodes() == 77
        nx.tutte_polynomial(nx.path_graph(3)) is not None
    """,
    "the standard library": """
        hashlib.sha256(b"").hexdigest()[0] == "e"
        hashlib.md5(b"x").digest() and hashlib.sha3_256(b"x").digest() and hashlib.blake2b(b"x")
        hmac.new(b"k", b"m", "sha256").hexdigest() != ""
        datetime.datetime.strptime("2026-01-02", "%Y-%m-%d").day == 2
        time.strptime("2026", "%Y").tm_year == 2026
        time.monotonic() > 0 and time.localtime().tm_year > 2000
        "é".encode("latin-1") == b"\\xe9" and "é".encode("utf-16").decode("utf-16") == "é"
        codecs.encode("abc", "rot13") == "nop" and codecs.encode(b"a", "hex") == b"61"
        "ü".encode("idna") != b"" and "é".encode("cp1252") == b"\\xe9"
        decimal.Decimal(2).sqrt() > 1 and fractions.Fraction("1/3") < 1
        random.shuffle([1, 2]) is None and random.sample(range(5), 2)
        statistics.NormalDist(0, 1).cdf(0) == 0.5
        json.loads(json.dumps({"a": [1.5, None]})) == {"a": [1.5, None]}
        re.fullmatch(r"(?i)a+", "AaA") is not None
        zlib.decompress(zlib.compress(b"x" * 100)) == b"x" * 100
        list(csv.reader(["a,b"])) == [["a", "b"]]
        calendar.isleap(2024) and html.unescape("&amp;") == "&"
        ipaddress.ip_address("10.0.0.1").is_private and unicodedata.name("é") != ""
        list(graphlib.TopologicalSorter({1: {2}}).static_order()) == [2, 1]
        difflib.SequenceMatcher(None, "ab", "ab").ratio() == 1
        ast.literal_eval("[1]") == [1] and textwrap.dedent(" a") == "a"
        base64.b64decode(base64.b64encode(b"x")) == b"x" and pprint.pformat([1]) == "[1]"
        copy.deepcopy([[1]]) == [[1]] and struct.pack("<I", 1)[0] == 1
        functools.reduce(operator.add, itertools.chain([1], [2])) == 3
        io.StringIO("x").read() == "x" and array.array("i", [1])[0] == 1
        "{:.2f}".format(1.005) and "%s" % locale_free and sys.getrecursionlimit() > 0
        bool(typing.get_type_hints(lambda: 0) == {}) and enum.Enum("E", "A").A.name == "A"
        round(math.gamma(5)) == 24 and cmath.sqrt(-1) == 1j
    """,
}
PRELUDES = {
    "numpy": "import io, numpy as np",
    "sympy": "import sympy, sympy.crypto, sympy.stats, sympy.physics.units\nx = sympy.Symbol('x')",
    "networkx": """import networkx as nx
path = nx.path_graph(4)
flow = nx.DiGraph()
flow.add_edge(0, 1, capacity=3); flow.add_edge(1, 2, capacity=5)""",
    "the standard library": "locale_free = 1\n"
    + "\n".join(f"import {name}" for name in STANDARD_LIBRARY if name != "__future__"),
}


@pytest.fixture(scope="module")
def worker() -> Iterator[LinuxWorker]:
    worker = LinuxWorker()
    yield worker
    worker.close()


@pytest.mark.parametrize("library", CALLS)
def test_functions_work_inside_though_they_import_when_called(
    worker: LinuxWorker, library: str
) -> None:
    if library in PACKAGES and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    calls = dedent(CALLS[library]).strip().splitlines()
    source = PRELUDES[library] + "\ndef f(code):\n    return bool(eval(code))\n"
    execution = worker.run(source, calls, LIMITS)
    assert execution.outcome is Outcome.FINISHED, execution
    wrong = {
        call: execution.errors.get(position, answer)
        for position, (call, answer) in enumerate(zip(calls, execution.predictions, strict=True))
        if answer != "1"
    }
    assert wrong == {}


def test_every_allowed_module_can_be_imported(worker: LinuxWorker) -> None:
    installed = [name for name in ALLOWED_MODULES if importlib.util.find_spec(name) is not None]
    body = indent("\n".join(f"import {name}" for name in installed if name != "__future__"), "    ")
    source = f"def f(x):\n{body}\n    return 1\n"
    assert worker.run(source, ["x"], LIMITS).predictions == ("1",)


# What the packages import when called and do without, or what has no place in a program.
ELSEWHERE = re.compile(
    r"(matplotlib|mypy|pandas|pytest|IPython|ipywidgets|pyglet|antlr4|pydot|pygraphviz|lxml|PIL|flint|"
    r"osgeo|cupy|jax|tensorflow|torch|aesara|pytensor|theano|numexpr|llvmlite|clang|lfortran|"
    r"gmpy2|requests|sage|pysat|pycosat|z3|hypothesis|wurlitzer|nx_|readline|symengine|py|Cython|pyximport|"
    r"setuptools|distutils|numba|psutil|sphinx|docutils|charset_normalizer|code|pdb|webbrowser|"
    r"sqlite3|urllib|http|multiprocessing|subprocess|threadpoolctl|scipy_doctest|yaml|pickle5|"
    r"ctypes|unittest|doctest|pydoc|cProfile|pstats|timeit|venv|ensurepip|pip|tkinter|"
    r"pyodide_js|micropip|backports|autowrap|numpydoc|mock|joblib|tempfile|shutil|glob|bz2|lzma|"
    r"this|imp|typing_extensions|numpy\.distutils|curses|fcntl|termios|concurrent|asyncio|ssl|socket|tracemalloc|gc|signal|resource)\b"
)
INSIDE_A_FUNCTION = re.compile(r"^[ \t]+(?:from|import) +([a-zA-Z_][\w.]*)", re.MULTILINE)
NOT_LOADED = re.compile(
    r"/(tests?|testing|benchmarks|f2py|distutils|interactive|galgebra|_pyinstaller|pyinstaller|"
    r"_examples|plotting|conftest|drawing)\b"
)


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_imports_inside_its_functions_is_loaded_beforehand(
    worker: LinuxWorker, package: str
) -> None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{package} is not installed")
    folder = Path(spec.origin).parent
    wanted = set()
    for file in folder.rglob("*.py"):
        if not NOT_LOADED.search(str(file.relative_to(folder.parent))):
            wanted |= set(INSIDE_A_FUNCTION.findall(file.read_text("utf-8", "replace")))
    names = sorted(name for name in wanted if not ELSEWHERE.match(name))
    exist = []
    for name in names:
        try:
            exist += [name] if importlib.util.find_spec(name) is not None else []
        except (ImportError, AttributeError, ValueError):
            continue  # prose in a docstring, or an attribute of a module that is no package
    source = f"import {package}, sys\ndef f(x):\n    return x in sys.modules\n"
    execution = worker.run(source, exist, LIMITS)
    missing = [
        name for name, answer in zip(exist, execution.predictions, strict=True) if answer != "1"
    ]
    assert len(exist) > 5
    assert missing == []


def test_the_packages_a_source_names_are_found_without_reading_it() -> None:
    assert packages_imported("import math") == ()
    assert packages_imported("from sympy import isprime") == ("sympy",)
    assert packages_imported("import networkx as nx, numpy") == ("numpy", "networkx")


def test_a_package_brings_no_other_than_those_it_needs(worker: LinuxWorker) -> None:
    if importlib.util.find_spec("sympy") is None:
        pytest.skip("sympy is not installed")
    # Of what lies beside it, sympy imports PyTorch and Matplotlib where they are installed.
    known = {*sys.stdlib_module_names, *PACKAGES, *USED_BY_PACKAGES, "cython_runtime"}
    source = f"""import sympy, sys
def f(x):
    roots = {{name.partition(".")[0] for name in sys.modules if name[0] != "_"}}
    return str("mpmath" in roots) + str(sorted(roots - {known} - {{"llm_pv", __name__}}))
"""
    assert worker.run(source, ["x"], LIMITS).predictions == ("True[]",)
