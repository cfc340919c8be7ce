// What someone can do about a refusal. Where it is thrown it is not known who asked: the program's
// user has an option, a caller of the libraries an argument. So the sentence of the exception ends
// before that, and whoever shows it goes on in their words.
#pragma once
#include <exception>
#include <string>

namespace rec {

enum class Remedy {
  none,
  another_device,       // the CPU, or whatever there is
  fp32,                 // the precision that every device has
  another_folder,       // to write into
  folder_in_it,         // likewise
  resume_or_overwrite,  // of a run folder that holds a run
  settings_of_run,      // with which a run goes on
  overwrite,            // a run that cannot go on
  name_dataset,         // which a run does not say, or not rightly
  same_language_model,  // for titles as for those that a run was trained on
  make_vectors_again,   // which were made of other texts
  choose_language,      // one of several files of language vectors
  leave_language_out,   // where there is nothing to choose
};

// Mixed into an exception that has a remedy.
class WithRemedy {
 public:
  explicit WithRemedy(Remedy remedy) : remedy_(remedy) {}
  Remedy remedy() const { return remedy_; }

 protected:
  virtual ~WithRemedy() = default;

 private:
  Remedy remedy_;
};

// What the exception says, and its remedy in the words of whoever shows it.
template <class Words>
std::string whole_sentence(const std::exception& error, Words words) {
  const auto* ends_early = dynamic_cast<const WithRemedy*>(&error);
  if (ends_early == nullptr || ends_early->remedy() == Remedy::none) return error.what();
  return error.what() + std::string("; ") + words(ends_early->remedy());
}

}  // namespace rec
