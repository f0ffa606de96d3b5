// The same three-way merges by other means: JSON Merge Patch, JSON Patch, Automerge and Yjs, each used the way its users do.
//
// Every peer gets (base, ours, theirs) as parsed JSON and returns the merged value, or throws when it cannot merge. The
// CRDTs are fed with JSON Patch diffs: their users write code, and a diff is what stands for it here.

import * as Automerge from "@automerge/automerge";
import jsonpatch from "fast-json-patch";
import mergePatch from "json-merge-patch";
import * as Y from "yjs";

const clone = (value) => structuredClone(value);

const parts = (pointer) =>
  pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));

/** RFC 7396: what they changed, as a merge patch on ours. */
export function mergePatched(base, ours, theirs) {
  const patch = mergePatch.generate(clone(base), clone(theirs));
  return patch === undefined ? ours : mergePatch.apply(clone(ours), patch);
}

/** RFC 6902: the same with index paths; a patch that does not apply throws. */
export function jsonPatched(base, ours, theirs) {
  return jsonpatch.applyPatch(clone(ours), jsonpatch.compare(base, theirs), true).newDocument;
}

function editAutomerge(doc, { op, path, value }) {
  const way = parts(path);
  const last = way.pop();
  let at = doc;
  for (const part of way) at = at[part];
  if (Array.isArray(at)) {
    const index = last === "-" ? at.length : Number(last);
    if (op === "add") at.splice(index, 0, value);
    else if (op === "remove") at.splice(index, 1);
    else at[index] = value;
  } else if (op === "remove") delete at[last];
  else at[last] = value;
}

/** Documents are objects of one field, because an Automerge document cannot be a list. */
export function automerged(base, ours, theirs) {
  const start = Automerge.from({ value: base });
  const sides = [ours, theirs].map((side) => {
    const edits = jsonpatch.compare({ value: base }, { value: side });
    return Automerge.change(Automerge.clone(start), (doc) => {
      for (const edit of edits) editAutomerge(doc, edit);
    });
  });
  return Automerge.toJS(Automerge.merge(sides[0], sides[1])).value;
}

function toY(value) {
  if (Array.isArray(value)) {
    const list = new Y.Array();
    list.insert(0, value.map(toY));
    return list;
  }
  if (value === null || typeof value !== "object") return value;
  const map = new Y.Map();
  for (const [key, item] of Object.entries(value)) map.set(key, toY(item));
  return map;
}

function editY(root, { op, path, value }) {
  const way = parts(path);
  const last = way.pop();
  let at = root;
  for (const part of way) at = at instanceof Y.Array ? at.get(Number(part)) : at.get(part);
  if (at instanceof Y.Array) {
    const index = last === "-" ? at.length : Number(last);
    if (op !== "add") at.delete(index, 1);
    if (op !== "remove") at.insert(index, [toY(value)]);
  } else if (op === "remove") at.delete(last);
  else at.set(last, toY(value));
}

export function yMerged(base, ours, theirs) {
  const start = new Y.Doc();
  start.getMap("doc").set("value", toY(base));
  const begin = Y.encodeStateAsUpdate(start);
  const [left, right] = [ours, theirs].map((side) => {
    const doc = new Y.Doc();
    Y.applyUpdate(doc, begin);
    const edits = jsonpatch.compare({ value: base }, { value: side });
    doc.transact(() => {
      for (const edit of edits) editY(doc.getMap("doc"), edit);
    });
    return doc;
  });
  Y.applyUpdate(left, Y.encodeStateAsUpdate(right, Y.encodeStateVector(left)));
  return left.getMap("doc").toJSON().value;
}

export const peers = { "RFC 7396": mergePatched, "RFC 6902": jsonPatched, Automerge: automerged, Yjs: yMerged };
