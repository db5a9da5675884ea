// What is told apart from the state of the picture: what went wrong stays until the next action.

const $ = (id) => document.getElementById(id);

export function note(text) {
  $("note").textContent = text;
}

export function complain(error) {
  $("problem").textContent = error.message;
}

/** Runs an action; what goes wrong is said in one line, and nothing is lost. */
export function doing(action) {
  return async (...values) => {
    $("problem").textContent = $("note").textContent = "";
    try {
      await action(...values);
    } catch (error) {
      complain(error);
    }
  };
}
