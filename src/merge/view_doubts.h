// What a list merge cannot know from identities alone: whether two sides entered one thing twice.
//
// Three cases leave a doubt: both sides removed one element and each put its own in the same gap, or each put its own where
// nothing of the base is left (R30); both sides put similar elements into one gap, or elements that agree in a field which
// told all elements of the base apart (R31); one side renamed a field that the other edited or renamed too (R32).
// Everything stays visible; the record says so, and under `merge:manual` a person is asked.
// Where the schema declares the list or set, adding on both sides is what the app means, and there is no doubt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "merge/view.h"

namespace oas::merge {

struct View::Doubts {
  struct Added {
    std::string pos;  // in an object: the key
    Step step;
    Value value;
    const Node* node = nullptr;
    const Op* insert = nullptr;
  };
  struct Ended {
    std::string_view pos;
    const Value* base = nullptr;
    const Node* node = nullptr;
  };

  // Elements of the snapshot that are still here bound the gaps.
  void stay(std::string_view pos) { bounds.emplace_back(pos); }
  void end(std::string_view pos, const Value& base, const Node& node) { ended.push_back({pos, &base, &node}); }
  void add(const std::string& pos, const Step& step, const Value& value, const Node& node, OpKind kind) {
    const Op* insert = nullptr;
    for (const Op& op : node.ops) {
      // Several sides inserting one element agree; there is nothing to doubt.
      if (op.kind == kind && insert != nullptr) return;
      if (op.kind == kind) insert = &op;
    }
    if (insert != nullptr) added.push_back({pos, step, value, &node, insert});
  }

  struct Touched {
    Step step;
    Value value;
    const Node* node = nullptr;
  };
  void touch(const Step& step, const Value& value, const Node& node) { touched.push_back({step, value, &node}); }

  std::vector<Touched> touched;  // elements that are here and that operations name
  std::vector<std::string> bounds;
  std::vector<Added> added;
  std::vector<Ended> ended;
};

}  // namespace oas::merge
