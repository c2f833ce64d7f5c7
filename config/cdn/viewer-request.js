// A CloudFront function (runtime cloudfront-js-2.0) for viewer requests: it
// serves the pages of a lane from one URL as HTML or as JSON (PEP 691), sends
// folders without their slash to the right place, and leaves everything else
// alone. README.md says how to put it in place.

// Names that no lane has, because the index uses them itself. Its own folders
// have no JSON page, so they must never be asked for one. These are the names
// that the operator refuses; keep the two in step, or installs of everything
// else break.
var OWN = /^(?:nightly|test|release|variant|preview|cpu|xpu|libtorch|platforms|pytorch|cu(?:[0-9].*)?|rocm.*|torch.*)$/;
var PROJECTS = ' ' + [
    'aiohappyeyeballs aiohttp aiosignal anyio arpeggio astor attrs blake3 blobfile cachetools cbor2',
    'certifi cffi click cloudpickle cmake colorama contourpy cycler datasets depyf dill diskcache distro',
    'dnspython einops executorch fastapi fastrlock filelock fonttools frozendict frozenlist fsspec gguf',
    'h11 httpcore httptools httpx idna interegular iopath jinja2 jiter jsonschema kiwisolver lark',
    'llguidance llvmlite lxml markupsafe matplotlib mdurl mkl mpmath msgpack msgspec multidict',
    'multiprocess nestedtensor networkx ninja numba numpy omegaconf oneccl openai packaging pandas pillow',
    'portalocker protobuf psutil pyarrow pybase64 pycountry pycparser pycryptodomex pydantic pydot',
    'pygments pynvml pyparsing pytz pyyaml pyzmq ray referencing regex requests rich rignore safetensors',
    'scipy sentencepiece setproctitle setuptools shellingham six sniffio soundfile starlette sympy tbb',
    'tcmlib textx tiktoken tokenizers tqdm transformers triton typer tzdata umf urllib3 uvicorn uvloop',
    'vllm watchfiles websockets xformers xgrammar xxhash yarl zipp',
].join(' ') + ' ';

// whl/<lane>, whl/<lane>/<project> and libtorch/<lane>, also below nightly/ and
// test/, with or without a slash at the end. A file's name has a dot in it.
var WHEELS = /^\/whl\/(?:(?:nightly|test)\/)?([a-z][a-z0-9]{1,30})(?:\/[a-z0-9]+(?:-[a-z0-9]+)*)?(\/?)$/;
var ARCHIVES = /^\/libtorch\/(?:(?:nightly|test)\/)?([a-z][a-z0-9]{1,30})(\/?)$/;

var HTML = ['text/html', 'application/vnd.pypi.simple.v1+html', 'application/vnd.pypi.simple.latest+html'];
var JSON_TYPES = ['application/vnd.pypi.simple.v1+json', 'application/vnd.pypi.simple.latest+json'];

function handler(event) {
    var request = event.request;
    var folder = WHEELS.exec(request.uri) || ARCHIVES.exec(request.uri);
    if (!folder || OWN.test(folder[1]) || PROJECTS.indexOf(' ' + folder[1] + ' ') >= 0) {
        return request;
    }
    if (folder[2] === '') {
        // Never 301: pip keeps that for ever.
        return { statusCode: 302, statusDescription: 'Found', headers: { location: { value: request.uri + '/' } } };
    }
    request.uri += prefersJSON(request.headers.accept) ? 'index.v1_json' : 'index.html';
    return request;
}

// prefersJSON tells whether a client would rather have JSON. Where it likes both
// equally it gets JSON only if it named it: a browser or curl, which take
// anything, get the page for people.
function prefersJSON(accept) {
    var ranges = parse(accept);
    var json = best(ranges, JSON_TYPES);
    var html = best(ranges, HTML);
    return json.q > 0 && (json.q > html.q || json.q === html.q && json.named);
}

// best is the highest quality that the ranges give one of the types, and whether
// a range names that type.
function best(ranges, types) {
    var found = { q: 0, named: false };
    types.forEach(function (type) {
        var q = quality(ranges, type);
        if (q.q > found.q || q.q === found.q && q.named) {
            found = q;
        }
    });
    return found;
}

// quality is what the most specific range that matches a type says of it (RFC
// 9110, section 12.5.1).
function quality(ranges, type) {
    var keys = [type, type.split('/')[0] + '/*', '*/*'];
    for (var i = 0; i < keys.length; i++) {
        if (Object.prototype.hasOwnProperty.call(ranges, keys[i])) {
            return { q: ranges[keys[i]], named: i === 0 };
        }
    }
    return { q: 0, named: false };
}

// parse reads an Accept header into qualities by media range. Without the
// header anything goes; a part that cannot be read counts for nothing.
function parse(accept) {
    var ranges = {};
    if (!accept) {
        return { '*/*': 1 };
    }
    var lines = accept.multiValue || [accept];
    lines.map(function (line) { return line.value; }).join(',').toLowerCase().split(',').forEach(function (part) {
        var fields = part.split(';');
        var range = fields[0].trim();
        var q = 1;
        for (var i = 1; i < fields.length; i++) {
            var field = fields[i].trim();
            if (/^q\s*=/.test(field)) {
                var value = field.replace(/^q\s*=\s*/, '');
                q = /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/.test(value) ? Number(value) : 0;
                break;
            }
        }
        if (range !== '') {
            ranges[range] = Object.prototype.hasOwnProperty.call(ranges, range) ? Math.max(ranges[range], q) : q;
        }
    });
    return ranges;
}
