// What was painted before: choosing, comparing.
//
//   comparing  {url, name}: the first of two pictures, until the second is chosen.
//   versus     {first, second}: what the comparison shows.

export const INITIAL = Object.freeze({ comparing: null, versus: null });

export const REDUCERS = {
  comparing: (state, { first }) => ({ ...state, comparing: first }),
  versus: (state, { second }) =>
    ({ ...state, comparing: null, versus: second && { first: state.comparing, second } }),
};
