// Hold resources (a JSON list on standard input) to the Prometheus operator's models: the types know
// which fields there are, the validators which values. One line for each objection; exit code 1.
import ts from "typescript";
import * as models from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const KINDS = ["PodMonitor", "PrometheusRule", "ServiceMonitor"];
const FILE = new URL("./resources.ts", import.meta.url).pathname;
const OPTIONS = {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  noEmit: true,
  skipLibCheck: true,
  strict: true,
  target: ts.ScriptTarget.ES2022,
  types: [],
};

function typeErrors(resources) {
  const source = [
    `import type { ${KINDS.map((kind) => `I${kind}`).join(", ")} } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";`,
    ...resources.map((one, n) => `const r${n}: I${one.kind} = ${JSON.stringify(one)};`),
  ].join("\n");
  const host = ts.createCompilerHost(OPTIONS);
  const read = host.getSourceFile;
  host.getSourceFile = (name, ...rest) =>
    name === FILE ? ts.createSourceFile(name, source, OPTIONS.target) : read(name, ...rest);
  const program = ts.createProgram([FILE], OPTIONS, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map((each) => ts.flattenDiagnosticMessageText(each.messageText, " "));
}

function valueErrors(resource) {
  try {
    new models[resource.kind](resource).validate();
    return [];
  } catch (error) {
    return [`${resource.kind} ${resource.metadata?.name}: ${error.message}`];
  }
}

let text = "";
for await (const part of process.stdin) text += part;
const resources = JSON.parse(text);
const strangers = resources.filter((one) => !KINDS.includes(one.kind));
const problems = [
  ...strangers.map((one) => `no model for the kind ${one.kind}`),
  ...(strangers.length ? [] : [...typeErrors(resources), ...resources.flatMap(valueErrors)]),
];
if (problems.length) {
  console.log(problems.join("\n"));
  process.exit(1);
}
