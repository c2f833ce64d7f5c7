package claim

import (
	"regexp"
	"slices"
)

// ReservedNames are the names that Reserved refuses one by one, sorted; beside
// them it refuses what begins like an accelerator or a project of PyTorch's own.
// The schema of PlatformLane refuses the same ones, so that their authors learn
// it at once.
func ReservedNames() []string {
	names := slices.Concat(ownNames, rootProjects)
	slices.Sort(names)
	return names
}

// ownNames are folders of the bucket, and names kept for it.
var ownNames = []string{"nightly", "test", "release", "variant", "preview", "cpu", "xpu", "libtorch", "platforms", "pytorch"}

// ownPattern covers the accelerators that the index builds for itself: cu118,
// rocm6, and those to come.
var ownPattern = regexp.MustCompile(`^(?:cu(?:[0-9].*)?|rocm.*)$`)

// projectPattern covers PyTorch's own projects, present and to come.
var projectPattern = regexp.MustCompile(`^torch`)

// rootProjects are the other projects that have a page in the root index and a
// name that a platform could have, as of 2025-10-01, sorted.
var rootProjects = []string{
	"aiohappyeyeballs", "aiohttp", "aiosignal", "anyio", "arpeggio", "astor", "attrs",
	"blake3", "blobfile", "cachetools", "cbor2", "certifi", "cffi", "click", "cloudpickle",
	"cmake", "colorama", "contourpy", "cycler", "datasets", "depyf", "dill", "diskcache",
	"distro", "dnspython", "einops", "executorch", "fastapi", "fastrlock", "filelock",
	"fonttools", "frozendict", "frozenlist", "fsspec", "gguf", "h11", "httpcore", "httptools",
	"httpx", "idna", "interegular", "iopath", "jinja2", "jiter", "jsonschema", "kiwisolver",
	"lark", "llguidance", "llvmlite", "lxml", "markupsafe", "matplotlib", "mdurl", "mkl",
	"mpmath", "msgpack", "msgspec", "multidict", "multiprocess", "nestedtensor", "networkx",
	"ninja", "numba", "numpy", "omegaconf", "oneccl", "openai", "packaging", "pandas",
	"pillow", "portalocker", "protobuf", "psutil", "pyarrow", "pybase64", "pycountry",
	"pycparser", "pycryptodomex", "pydantic", "pydot", "pygments", "pynvml", "pyparsing",
	"pytz", "pyyaml", "pyzmq", "ray", "referencing", "regex", "requests", "rich", "rignore",
	"safetensors", "scipy", "sentencepiece", "setproctitle", "setuptools", "shellingham",
	"six", "sniffio", "soundfile", "starlette", "sympy", "tbb", "tcmlib", "textx", "tiktoken",
	"tokenizers", "tqdm", "transformers", "triton", "typer", "tzdata", "umf", "urllib3",
	"uvicorn", "uvloop", "vllm", "watchfiles", "websockets", "xformers", "xgrammar", "xxhash",
	"yarl", "zipp",
}
