package api

const (
	saysSelector   = "set package, sha256 or both; a selector without them could take back the whole lane"
	saysPackage    = "package is written in its normalised form (PEP 503): lower-case ASCII letters, digits and single hyphens"
	saysVersions   = "versions is a PEP 440 specifier set like ==2.9.0+spyre or >=2.9,<2.9.2; a bare version needs == in front"
	saysFile       = "a file pattern is a file name with * and ? as wildcards, without folders, for example torch-2.9.0+spyre-*.whl"
	saysSHA256     = "a sha256 is 64 lower-case hexadecimal digits, as sha256sum prints it"
	saysAdvisoryID = "id is an advisory's identifier like CVE-2026-12345 or GHSA-xxxx-xxxx-xxxx"
	saysURL        = "url must be an https URL, for example https://example.com/advisories/CVE-2026-12345"
	saysReason     = "reason is one line of text that says why; it is shown to users"
	saysOnBehalfOf = "onBehalfOf is one line of text: a name or an address"
	saysNoRestore  = "HardDelete destroys the bytes and cannot be restored; use onDelete: KeepYanked, or mode: Quarantine; to destroy what a restorable Yank holds, create another Yank"
)

const aHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

var goodYanks = []goodManifest{
	{"package alone", ""},
	{"hash alone", "selector: {package: null, sha256: [" + aHash + "]}"},
	{"everything", "selector: {versions: '==2.9.0+spyre', channels: [nightly, test, release], files: ['torch-*-cp31?-*.whl'], sha256: [" + aHash + "]}, " +
		"mode: Quarantine, execution: PlanOnly, advisory: {id: GHSA-abcd-efgh-2345, url: 'https://example.com/a?b=c'}, onBehalfOf: 'Änne <a@b.example>', onDelete: Restore"},
	{"range", "selector: {versions: '>=2.9, <2.9.2'}"},
	{"every operator", "selector: {versions: '===2.9,==2.9.*,~=2.9,!=2.9.1,<=3,>=2,<3,>1!0'}"},
	{"pre-release", "selector: {versions: '==2.10.0.dev20260101+spyre'}"},
	{"libtorch", "selector: {package: libtorch}"},
	{"reason in any script", "reason: 不安全 – siehe CVE"},
	{"hard deletion", "mode: HardDelete"},
}

var badYanks = []badManifest{
	{"empty selector", "selector: {package: null, versions: '==1'}", "spec.selector", saysSelector},
	{"files alone", "selector: {package: null, files: ['*']}", "spec.selector", saysSelector},
	{"package in capitals", "selector: {package: Torch}", "spec.selector.package", saysPackage},
	{"package wildcard", "selector: {package: 'torch*'}", "spec.selector.package", saysPackage},
	{"package with underscore", "selector: {package: torch_x}", "spec.selector.package", saysPackage},
	{"package with Kelvin sign", `selector: {package: "\u212Aeras"}`, "spec.selector.package", saysPackage},
	{"bare version", "selector: {versions: '2.9.0'}", "spec.selector.versions", saysVersions},
	{"one equals sign", "selector: {versions: '=2.9.0'}", "spec.selector.versions", saysVersions},
	{"trailing comma", "selector: {versions: '==2.9.0,'}", "spec.selector.versions", saysVersions},
	{"two versions with or", "selector: {versions: '==2.9.0 || ==2.9.1'}", "spec.selector.versions", saysVersions},
	{"file in a folder", "selector: {files: [whl/torch.whl]}", "spec.selector.files[0]", saysFile},
	{"file class", "selector: {files: ['torch-[0-9].whl']}", "spec.selector.files[0]", saysFile},
	{"hash in capitals", "selector: {sha256: [9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08]}", "spec.selector.sha256[0]", saysSHA256},
	{"half a hash", "selector: {sha256: [9f86d081884c7d65]}", "spec.selector.sha256[0]", saysSHA256},
	{"advisory as sentence", "advisory: {id: see the web site}", "spec.advisory.id", saysAdvisoryID},
	{"advisory over http", "advisory: {id: CVE-2026-1, url: 'http://example.com'}", "spec.advisory.url", saysURL},
	{"advisory with markup", "advisory: {id: CVE-2026-1, url: 'https://example.com/<b>'}", "spec.advisory.url", saysURL},
	{"advisory with script", `advisory: {id: CVE-2026-1, url: "https://example.com/\"onclick=\"x"}`, "spec.advisory.url", saysURL},
	{"blank reason", "reason: '   '", "spec.reason", saysReason},
	{"reason of two lines", `reason: "a\nb"`, "spec.reason", saysReason},
	{"reason with escape sequence", `reason: "a\e[2Jb"`, "spec.reason", saysReason},
	{"reason with line separator", `reason: "a\u2028b"`, "spec.reason", saysReason},
	{"reason with next-line character", `reason: "a\Nb"`, "spec.reason", saysReason},
	{"reason that runs backwards", `reason: "a\u202Eb"`, "spec.reason", saysReason},
	{"claimant of two lines", `onBehalfOf: "a\nb"`, "spec.onBehalfOf", saysOnBehalfOf},
	{"blank claimant", "onBehalfOf: ' '", "spec.onBehalfOf", saysOnBehalfOf},
	{"restoring what is destroyed", "mode: HardDelete, onDelete: Restore", "spec", saysNoRestore},

	{"no lane", "laneRef: null", "spec.laneRef", "Required value"},
	{"no selector", "selector: null", "spec.selector", "Required value"},
	{"no mode", "mode: null", "spec.mode", "Required value"},
	{"no reason", "reason: null", "spec.reason", "Required value"},
	{"mode in lower case", "mode: quarantine", "spec.mode", `supported values: "Flag", "IndexRemoval", "Quarantine", "HardDelete"`},
	{"hash twice", "selector: {sha256: [" + aHash + ", " + aHash + "]}", "spec.selector.sha256[1]", `Duplicate value: "` + aHash + `"`},
}
