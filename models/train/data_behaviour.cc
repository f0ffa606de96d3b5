#include <algorithm>
#include <map>

#include "data.h"

namespace oas::train {
namespace {

std::vector<std::string> split(const std::string& line, char at) {
  std::vector<std::string> out(1);
  for (const char c : line) {
    if (c == at)
      out.emplace_back();
    else if (c != '\r' && c != '"')
      out.back() += c;
  }
  return out;
}

// Calls `take` with every line's fields.
template <class Take>
void each_line(const std::string& text, char separator, Take take) {
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    take(split(text.substr(at, end - at), separator));
    at = end + 1;
  }
}

}  // namespace

std::optional<Visits> read_msweb() {
  const auto train = read_file(data_folder() + "/msweb/anonymous-msweb.data");
  const auto test = read_file(data_folder() + "/msweb/anonymous-msweb.test");
  if (!train || !test) return std::nullopt;
  Visits out{.sha256 = hex_sha256(*train + *test), .items = 0, .names = {}, .train = {}, .test = {}};
  // Items by ascending id, so that an index does not depend on the file's order of lines.
  std::map<int, std::string> titles;
  each_line(*train, ',', [&](const std::vector<std::string>& f) {
    if (f[0] == "A") titles[std::stoi(f[1])] = f[3];
  });
  std::map<int, std::uint32_t> index;
  for (const auto& [id, title] : titles) {
    index[id] = static_cast<std::uint32_t>(out.names.size());
    out.names.push_back(title);
  }
  out.items = static_cast<std::uint32_t>(out.names.size());
  const auto fill = [&](const std::string& text, std::vector<std::vector<std::uint32_t>>& users) {
    each_line(text, ',', [&](const std::vector<std::string>& f) {
      if (f[0] == "C") users.emplace_back();
      if (f[0] == "V") users.back().push_back(index.at(std::stoi(f[1])));
    });
  };
  fill(*train, out.train);
  fill(*test, out.test);
  return out;
}

// Leave-last-out: `train` holds every user's earlier movies, `test` all of them with the held-out one last.
std::optional<Visits> read_movielens() {
  const auto text = read_file(data_folder() + "/ml-latest-small/ratings.csv");
  if (!text) return std::nullopt;
  Visits out{.sha256 = hex_sha256(*text), .items = 0, .names = {}, .train = {}, .test = {}};
  struct Rating {
    int user;
    long long time;
    int movie;
  };
  std::vector<Rating> ratings;
  std::map<int, std::uint32_t> index;
  each_line(*text, ',', [&](const std::vector<std::string>& f) {
    if (f.size() < 4 || f[0] == "userId") return;
    ratings.push_back({std::stoi(f[0]), std::stoll(f[3]), std::stoi(f[1])});
    index[ratings.back().movie] = 0;
  });
  for (auto& [movie, at] : index) at = out.items++;
  std::sort(ratings.begin(), ratings.end(), [](const Rating& a, const Rating& b) {
    return std::tie(a.user, a.time, a.movie) < std::tie(b.user, b.time, b.movie);
  });
  int last = -1;
  for (const Rating& r : ratings) {
    if (r.user != last) out.test.emplace_back();
    last = r.user;
    out.test.back().push_back(index.at(r.movie));
  }
  for (const auto& user : out.test) out.train.emplace_back(user.begin(), user.end() - 1);
  return out;
}

std::optional<Sessions> read_shoppers() {
  const auto text = read_file(data_folder() + "/online-shoppers/online_shoppers_intention.csv");
  if (!text) return std::nullopt;
  Sessions out{.sha256 = hex_sha256(*text), .names = {}, .rows = {}, .positive = {}};
  const std::vector<std::string> months = {"Jan", "Feb", "Mar", "Apr", "May", "June",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  each_line(*text, ';', [&](const std::vector<std::string>& f) {
    if (f.size() != 18) return;
    if (f[0] == "Administrative") {
      out.names.assign(f.begin(), f.end() - 1);
      return;
    }
    std::vector<float> row;
    for (std::size_t i = 0; i < 17; ++i) {
      if (i == 10)
        row.push_back(static_cast<float>(std::find(months.begin(), months.end(), f[i]) - months.begin()));
      else if (i == 15)
        row.push_back(f[i] == "Returning_Visitor" ? 0.0f : f[i] == "New_Visitor" ? 1.0f : 2.0f);
      else if (i == 16)
        row.push_back(f[i] == "TRUE" ? 1.0f : 0.0f);
      else
        row.push_back(std::stof(f[i]));
    }
    out.rows.push_back(std::move(row));
    out.positive.push_back(f[17] == "TRUE" ? 1 : 0);
  });
  return out;
}

}  // namespace oas::train
