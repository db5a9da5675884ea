// How the settings are told to who paints: groups, and plain names and sentences of those that are used most. The
// others have the server's own sentence.

export const GROUPS = [
  { title: "The picture", names: ["size", "scale", "steps", "perceptor", "generator"] },
  { title: "Where it starts", names: ["start", "start_tries", "start_steps", "start_scale"] },
  { title: "How it is looked at", names: ["num_cutouts", "whole_share", "cut_pow", "cut_min", "augment"] },
  { title: "How glances are shaken", section: "cutouts" },
  { title: "What the words ask", section: "guidance" },
  { title: "What is painted with", names: ["latent", "latent_rule", "latent_weight", "latent_decay", "latent_average"] },
  { title: "More of what is painted with", section: "latents" },
  { title: "How bold each step is", section: "optimization" },
  { title: "Changing a part", names: ["strength", "structure_weight", "feather", "grow", "invert", "composite"] },
  { title: "How a part is found", section: "edit" },
  { title: "More", section: "" },
];

/** name -> [what it is called, one sentence]. */
export const PLAIN = Object.freeze({
  size: ["Size", "Width x height in pixels; larger pictures take longer."],
  scale: ["Drawn larger", "How many times larger the finished picture is drawn; painting itself stays as fast."],
  steps: ["Steps", "How often the picture is improved: more is finer and takes longer."],
  perceptor: ["Eyes", "Who reads the words and looks at the picture; several guide it together."],
  generator: ["Hand", "Who paints: the network whose strokes the picture is made of."],
  start: ["First idea", "What the picture starts from when you drew nothing: prior proposes what the words say."],
  start_tries: ["Beginnings", "How many ways to begin a picture are tried; the best one is painted on, or the one you choose."],
  start_steps: ["Steps of a beginning", "How far each beginning is painted before one is chosen."],
  start_scale: ["Size of a beginning", "As a share of the picture's size; smaller is faster."],
  num_cutouts: ["Glances", "How many parts of the picture are looked at in each step; more is steadier and slower."],
  whole_share: ["Glances at all of it", "The share of glances that see the whole picture and not a part."],
  cut_pow: ["Size of glances", "Below 1 more large parts are looked at, above 1 more small ones."],
  cut_min: ["Smallest glance", "As a share of the picture's short side: small ones make detail, large ones a whole."],
  augment: ["Shaken glances", "How glances are turned, bent and coloured, so that the picture holds from everywhere."],
  latent: ["Paint", "What is moved: multiscale paints large shapes first, quantized the codes themselves."],
  latent_weight: ["Pull to the start", "How strongly the picture is held at where it began."],
  learning_rate: ["Boldness", "How far each step goes: bolder is faster and rougher."],
  lr_schedule: ["Calming down", "How the boldness changes until the end."],
  optimizer: ["Way of stepping", "The method that decides each step."],
  templates: ["Say it in many ways", "Reads the words as “a picture of …” and the like too, which is steadier."],
  contrast_weight: ["Not something else", "How much the picture must show your words rather than other things."],
  tv_weight: ["Smoothness", "More gives calm surfaces, less keeps grain."],
  combine: ["Several words", "loss asks for each part by itself, embedding for all of them mixed."],
  strength: ["Strength", "How far the part moves towards the new words."],
  structure_weight: ["Keep its structure", "How much of what is there keeps its form."],
  feather: ["Soft edge", "Pixels over which the new part fades into the old one."],
  grow: ["Wider", "Pixels by which what is marked gets larger on all sides."],
  invert: ["All but what is marked", "Changes what was not marked."],
  composite: ["Old pixels stay", "Outside of what is marked not one pixel changes."],
});
