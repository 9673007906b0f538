// What is meant for a while and easily left: layers in shadow, and failures on purpose.
import type { Finding, Rule } from "./finding.ts";

export const inShadow: Rule = ({ layers }) =>
  layers.flatMap((layer, index): Finding[] => {
    const shadow = "shadow" in layer && layer.shadow;
    if (!shadow) return [];
    return [
      {
        code: "PM0511",
        path: `layers[${index}].shadow`,
        message: `the ${layer.kind} layer only reports what it would do, and lets every call pass`,
        hint: "remove shadow when its figures have proved right",
      },
    ];
  });

export const onPurpose: Rule = ({ layers }) =>
  layers.flatMap((layer, index): Finding[] => {
    if (layer.kind !== "fault" || layer.shadow === true) return [];
    const { delay, abort } = layer;
    const does = [
      ...(delay !== undefined && delay.percent > 0 ? [`delays ${delay.percent} % of calls by ${delay.for}`] : []),
      ...(abort !== undefined && abort.percent > 0 ? [`fails ${abort.percent} % of calls with ${abort.status ?? abort.code}`] : []),
    ];
    if (does.length === 0) return [];
    return [
      { code: "PM0512", path: `layers[${index}]`, message: `${does.join(" and ")} on purpose`, hint: "remove it where no experiment runs" },
    ];
  });
