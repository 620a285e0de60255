// `s init` fills in s.yaml by itself; the policy names the first target too.
async function preInit() {}

async function postInit({ artTemplate }) {
  artTemplate('policy.yaml');
}

module.exports = { preInit, postInit };
