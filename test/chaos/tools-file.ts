/** The drill's tools for the real `runs worker`: what RUNS_TOOLS names. Without fault points. */
import { noFaults } from './faults.ts';
import { drillTools } from './tools.ts';

export default drillTools(process.env['DRILL_DIR'] ?? '', noFaults);
