"""What is asked of Prometheus and Alertmanager, by a program on the host, in one go.

FOLDER is the directory of the dashboards, whose every query is put to the server as well.
"""

ASK = """
import concurrent.futures, glob, json, os, urllib.error, urllib.parse, urllib.request

SERVER = "http://127.0.0.1:9090/api/v1/"

def get(address):
    try:
        with urllib.request.urlopen(address, timeout=8) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)

def ask(what, **parameters):
    answer = get(SERVER + what + "?" + urllib.parse.urlencode(parameters))
    return answer["data"] if answer["status"] == "success" else {"error": answer["error"]}

def queries(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]

dashboards = {}
for path in sorted(glob.glob(os.path.join(FOLDER, "*.json"))):
    with open(path, encoding="utf-8") as file:
        dashboards[path] = json.load(file)
asked = {each for one in dashboards.values() for each in queries(one)}
names = ["status/config", "status/buildinfo", "status/runtimeinfo", "targets", "rules",
         "alertmanagers"]
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    answers = dict(zip(names, pool.map(ask, names)))
    results = pool.map(lambda each: ask("query", query=each[1]), sorted(asked))
    found = {expr: len(answer.get("result", [])) if "error" not in answer else answer["error"]
             for (_, expr), answer in zip(sorted(asked), results)}
series = ask("query", query="count by (job) ({job!=''})")

def text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()

# The file that the server was started with, and the rules that this file names.
config = ask("status/flags")["config.file"]
named = [line.strip().lstrip("- ").strip("'" + '"') for line in text(config).splitlines()]
patterns = [each for each in named if each.endswith((".yml", ".yaml"))]
rules = {path: text(path) for pattern in patterns for path in sorted(glob.glob(
    os.path.join(os.path.dirname(config), pattern)))}
try:
    alertmanager = get("http://127.0.0.1:9093/api/v2/status")
except OSError as problem:
    alertmanager = {"error": str(problem)}
print(json.dumps({"file": text(config), "rules": rules, "answers": answers,
                  "series": series, "found": found, "dashboards": dashboards,
                  "alertmanager": alertmanager}))
"""
